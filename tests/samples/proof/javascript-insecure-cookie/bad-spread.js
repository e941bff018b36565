"use strict";

const express = require("express");
const users = require("./users");

const router = express.Router();

const options = { secure: false };

router.post("/login", (req, res) => {
  const user = users.check(req.body.email, req.body.password);
  res.cookie("token", user.token, { maxAge: 3600000, ...options });
  res.json({ name: user.name });
});

module.exports = router;
