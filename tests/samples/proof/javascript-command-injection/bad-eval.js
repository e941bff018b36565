const express = require("express");
const { exec } = require("child_process");

const app = express();

app.get("/ping", (req, res) => {
  const host = req.query.host;
  console.log("ping");
  eval("exec(`ping -c 1 ${host}`)");
  res.send("ok");
});

module.exports = app;
