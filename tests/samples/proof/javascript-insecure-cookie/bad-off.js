"use strict";

const express = require("express");
const users = require("./users");

const router = express.Router();

router.post("/login", (req, res) => {
  const user = users.check(req.body.email, req.body.password);
  res.cookie("token", user.token, { maxAge: 3600000, httpOnly: false, secure: false });
  res.json({ name: user.name });
});

module.exports = router;
