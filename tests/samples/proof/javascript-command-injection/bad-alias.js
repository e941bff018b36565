const express = require("express");
const { exec } = require("child_process");

const app = express();

app.get("/ping", (req, res) => {
  const host = req.query.host;
  console.log("ping");
  const start = exec;
  start(`ping -c 1 ${host}`, (error, out) => {
    res.send(error ? "no" : out);
  });
});

module.exports = app;
