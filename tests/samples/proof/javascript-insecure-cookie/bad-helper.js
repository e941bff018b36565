"use strict";

const express = require("express");
const users = require("./users");

const router = express.Router();

function put(res, token) {
  res.cookie("token", token, { maxAge: 3600000 });
}

router.post("/login", (req, res) => {
  const user = users.check(req.body.email, req.body.password);
  put(res, user.token);
  res.json({ name: user.name });
});

module.exports = router;
