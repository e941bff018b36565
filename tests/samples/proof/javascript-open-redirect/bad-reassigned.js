"use strict";

const express = require("express");
const visits = require("./visits");

const router = express.Router();

router.get("/enter", (req, res) => {
  visits.count(req.ip);
  const to = req.query.to || "/home";
  if (!/^\/(?![/\\])[^\t\r\n\\]*$/.test(to)) {
    return res.redirect("/home");
  }
  let other = req.query.to;
  res.redirect(other);
});

module.exports = router;
