"use strict";

const express = require("express");
const visits = require("./visits");

const router = express.Router();

function go(res, to) {
  res.redirect(to);
}

router.get("/enter", (req, res) => {
  visits.count(req.ip);
  const to = req.query.to || "/home";
  go(res, to);
});

module.exports = router;
