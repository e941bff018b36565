const express = require("express");
const { execSync } = require("child_process");

const app = express();

app.get("/ping", (req, res) => {
  const host = req.query.host;
  console.log("ping");
  res.send(execSync(`ping -c 1 ${host}`));
});

module.exports = app;
