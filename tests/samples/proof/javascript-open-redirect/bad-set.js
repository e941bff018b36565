"use strict";

const express = require("express");
const visits = require("./visits");

const router = express.Router();

router.get("/enter", (req, res) => {
  visits.count(req.ip);
  const to = req.query.to || "/home";
  const same = (value) => value;
  res.redirect(same(to));
});

module.exports = router;
