"use strict";

const path = require("path");
const express = require("express");
const visits = require("./visits");

const router = express.Router();
const UPLOADS = path.join(__dirname, "uploads");

function show(res, name) {
  res.sendFile(path.join(UPLOADS, name));
}

router.get("/files/:name", (req, res) => {
  visits.count(req.ip);
  show(res, req.params.name);
});

module.exports = router;
