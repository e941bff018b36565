// Cookies that others can read.
const express = require("express");
const session = require("express-session");
const cookieSession = require("cookie-session");

const app = express();

app.use(session({ secret: keys.session, resave: false, cookie: { maxAge: 60000, secure: false } })); // expect: javascript.insecure-cookie

app.use(
  session({
    secret: keys.session,
    saveUninitialized: false,
    cookie: {
      httpOnly: false, // expect: javascript.insecure-cookie
      secure: "auto",
    },
  }),
);

app.use(cookieSession({ name: "shop", keys: [keys.session], httpOnly: false })); // expect: javascript.insecure-cookie

app.post("/login", async (req, res) => {
  const user = await User.check(req.body.email, req.body.password);
  const token = user.makeToken();
  res.cookie("token", token); // expect: javascript.insecure-cookie
  res.cookie("refreshToken", user.refreshToken(), { httpOnly: true, maxAge: 7 * 24 * 3600 * 1000 }); // expect: javascript.insecure-cookie
  res.json({ user });
});

app.post("/signup", (req, res, next) => {
  User.create(req.body).then((user) => {
// expect: javascript.insecure-cookie
    res.status(201).cookie("jwt", user.token, {
      expires: new Date(Date.now() + 90 * 24 * 3600 * 1000),
      secure: false,
      httpOnly: true,
    });
  }, next);
});

server.post("/login", async (request, reply) => {
  reply.setCookie("sessionId", await open(request.body), { path: "/", secure: true }); // expect: javascript.insecure-cookie
  return reply.send({ ok: true });
});

module.exports.enter = (response, session) => {
  response.cookies.set("session", session.id, { httpOnly: false, secure: true, sameSite: "strict" }); // expect: javascript.insecure-cookie
  return response;
};
