// Visitors stay on this site, or somebody has looked.
const express = require("express");

const router = express.Router();
const PAGES = { home: "/", shop: "/shop" };
const ALLOWED = ["/", "/shop"];

router.get("/users/:id", (req, res) => {
  res.redirect("/users/" + req.params.id + "/posts");
});

router.get("/posts/:slug", (req, res) => {
  res.redirect(301, `/blog/${req.params.slug}`);
});

router.get("/search", (req, res) => res.redirect("/find?q=" + encodeURIComponent(req.query.q)));

router.get("/old", (req, res) => res.redirect(`${config.baseUrl}/new/${req.query.page}`));

router.get("/notes/:id", (req, res) => {
  const id = req.params.id;
  return res.redirect(config.serverURL + "/" + id);
});

router.get("/groups", (req, res) => {
  const slug = req.query.slug.toLowerCase();
  res.redirect(`${nconf.get("relative_path")}/groups/${slug}`);
});

router.get("/page", (req, res) => {
  res.redirect(PAGES[req.query.name]);
});

router.get("/local", (req, res) => {
  const next = req.query.next;
  res.redirect(/^\/(?![/\\])[^\t\r\n\\]*$/.test(next) ? next : "/");
});

router.get("/listed", (req, res) => {
  const next = req.query.next;
  if (!ALLOWED.includes(next)) {
    return res.redirect("/");
  }
  res.redirect(next);
});

router.get("/three-looks", (req, res) => {
  const next = req.query.next;
  if (typeof next !== "string" || !next.startsWith("/") || next.startsWith("//") || next.startsWith("/\\")) {
    throw new Error("bad address");
  }
  res.redirect(next);
});

router.get("/pattern", (req, res) => {
  const next = req.query.next;
  if (typeof next !== "string" || !/^\/(?![/\\])/.test(next)) return res.sendStatus(400);
  res.redirect(next);
});

router.get("/checked", (req, res) => {
  const target = req.query.target;
  if (isLocalUrl(target)) {
    res.redirect(target);
  } else {
    res.redirect("/");
  }
});

router.get("/secure", (req, res) => {
  res.redirect("https://" + req.headers.host + req.url);
});

router.get("/back", (req, res) => res.redirect(req.get("Referrer") || "/"));

router.post("/short", async (req, res) => {
  const link = await Link.findOne({ code: req.params.code });
  res.redirect(link.url);
});

router.get("/connect", (req, res) => {
  const url = oauth.getAuthorizationUrl({ state: req.query.state });
  res.redirect(url);
});

router.post("/posts", async (req, res) => {
  const post = await createPost(req.body);
  res.redirect(post.url);
});
