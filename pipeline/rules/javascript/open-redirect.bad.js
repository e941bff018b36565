// Visitors are sent where a link says.
const express = require("express");
const http = require("http");
const passport = require("passport");

const router = express.Router();

router.post("/login", passport.authenticate("local"), (req, res) => {
  const next = req.query.next || "/dashboard";
  res.redirect(next); // expect: javascript.open-redirect
});

router.get("/out", (req, res) => res.redirect(req.query.url)); // expect: javascript.open-redirect

router.get("/logout", (req, res, next) => {
  req.logout((error) => {
    if (error) return next(error);
    return res.redirect(302, req.query.returnTo || "/"); // expect: javascript.open-redirect
  });
});

router.post("/language", (req, res) => {
  const { back } = req.body;
  res.cookie("lang", req.body.lang);
  if (back) {
    res.redirect("/" + back); // expect: javascript.open-redirect
  } else {
    res.redirect("/");
  }
});

router.get("/go", (req, res) => {
  res.status(301).location(`https://${req.query.host}/welcome`).end(); // expect: javascript.open-redirect
});

http.createServer((req, res) => {
  const request = { query: Object.fromEntries(new URL(req.url, "http://localhost").searchParams) };
  res.writeHead(302, { Location: request.query.to }); // expect: javascript.open-redirect
  res.end();
});

module.exports.after = async (ctx) => {
  await ctx.login();
  ctx.redirect(ctx.query.redirect); // expect: javascript.open-redirect
};
