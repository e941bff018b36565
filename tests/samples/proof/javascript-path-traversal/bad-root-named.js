"use strict";

const path = require("path");
const express = require("express");
const visits = require("./visits");

const router = express.Router();
const UPLOADS = path.join(__dirname, "uploads");

const top = "/";

router.get("/files/:name", (req, res) => {
  visits.count(req.ip);
  res.sendFile(req.params.name, { root: top });
});

module.exports = router;
