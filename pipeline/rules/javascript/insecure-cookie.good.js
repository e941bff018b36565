// Cookies that are kept, and cookies that are nobody's secret.
const session = require("express-session");
const cookieSession = require("cookie-session");

app.use(session({ secret: keys.session, resave: false, cookie: { maxAge: 60000, secure: "auto" } }));
app.use(session({ secret: keys.session, cookie: { secure: process.env.NODE_ENV === "production" } }));
app.use(session({ secret: keys.session, saveUninitialized: false, resave: false }));
app.use(cookieSession({ name: "shop", keys: [keys.session] }));
connectMail({ host: "mail.example.org", port: 587, secure: false });

app.post("/login", async (req, res) => {
  const token = sign(req.body);
  res.cookie("token", token, { httpOnly: true, secure: true, sameSite: "lax" });
  res.cookie("token", token, { httpOnly: true, secure: process.env.NODE_ENV === "production" });
  res.cookie("refresh_token", token, options);
  res.cookie("jwt", token, { ...options, maxAge: 1000 });
  res.cookie("theme", req.body.theme);
  res.cookie("lang", "en", { maxAge: 900000 });
  res.cookie("csrf_token", token);
  res.cookie("XSRF-TOKEN", req.csrfToken());
  res.json({});
});

app.post("/logout", (req, res) => {
  res.cookie("token", "none", { expires: new Date(Date.now() + 10 * 1000), httpOnly: true });
  res.cookie("jwt", "", { maxAge: 1 });
  res.cookie("session", null);
  res.cookie("sid", read(), { maxAge: 0 });
  res.clearCookie("session");
});

const tokens = jar.cookie("token", value);
