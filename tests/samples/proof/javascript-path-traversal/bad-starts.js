"use strict";

const path = require("path");
const express = require("express");
const visits = require("./visits");

const router = express.Router();
const UPLOADS = path.join(__dirname, "uploads");

router.get("/files/:name", (req, res) => {
  visits.count(req.ip);
  const file = path.join(UPLOADS, req.params.name);
  if (!file.startsWith("/")) {
    return res.sendStatus(404);
  }
  res.sendFile(file);
});

module.exports = router;
