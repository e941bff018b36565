const express = require("express");
const { execFile } = require("child_process");

const app = express();

app.get("/ping", (req, res) => {
  const host = req.query.host;
  console.log("ping");
  execFile("ping", ["-c", "1", "localhost"], (error, out) => {
    res.send(error ? "no" : out);
  });
});

module.exports = app;
