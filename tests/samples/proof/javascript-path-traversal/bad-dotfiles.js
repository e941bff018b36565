"use strict";

const path = require("path");
const express = require("express");
const visits = require("./visits");

const router = express.Router();
const UPLOADS = path.join(__dirname, "uploads");

router.get("/files/:name", (req, res) => {
  visits.count(req.ip);
  res.sendFile(req.params.name, { root: UPLOADS, dotfiles: "allow" });
});

module.exports = router;
