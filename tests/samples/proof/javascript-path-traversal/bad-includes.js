"use strict";

const path = require("path");
const express = require("express");
const visits = require("./visits");

const router = express.Router();
const UPLOADS = path.join(__dirname, "uploads");

router.get("/files/:name", (req, res) => {
  visits.count(req.ip);
  const name = req.params.name;
  if (name.includes("..//")) {
    return res.sendStatus(404);
  }
  res.sendFile(path.join(UPLOADS, name));
});

module.exports = router;
