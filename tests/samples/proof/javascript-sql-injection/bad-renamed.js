const express = require("express");
const { Client } = require("pg");

const app = express();
const client = new Client();

app.get("/user", async (req, res) => {
  const login = req.query.name;
  if (!login) {
    return res.status(400).end();
  }
  const found = await client.query(`SELECT id FROM users WHERE name = '${login}'`);
  return res.json(found.rows);
});

module.exports = app;
