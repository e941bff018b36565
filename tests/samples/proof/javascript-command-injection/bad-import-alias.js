const express = require("express");
const { exec: start } = require("child_process");

const app = express();

app.get("/ping", (req, res) => {
  const host = req.query.host;
  console.log("ping");
  start(`ping -c 1 ${host}`, (error, out) => {
    res.send(error ? "no" : out);
  });
});

module.exports = app;
