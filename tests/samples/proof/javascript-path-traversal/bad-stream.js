"use strict";

const path = require("path");
const express = require("express");
const visits = require("./visits");

const router = express.Router();
const UPLOADS = path.join(__dirname, "uploads");

router.get("/files/:name", (req, res) => {
  visits.count(req.ip);
  require("fs").createReadStream(path.join(UPLOADS, req.params.name)).pipe(res);
});

module.exports = router;
