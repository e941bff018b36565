"use strict";

const express = require("express");
const users = require("./users");

const router = express.Router();

const options = { maxAge: 3600000 };

router.post("/login", (req, res) => {
  const user = users.check(req.body.email, req.body.password);
  res.cookie("token", user.token, options);
  res.json({ name: user.name });
});

module.exports = router;
