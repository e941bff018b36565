// Names that stay in their folder.
const fs = require("fs");
const path = require("path");

app.get("/files/:name", (req, res) => {
  res.sendFile(req.params.name, { root: UPLOADS });
});

app.get("/avatars/:name", (req, res) => {
  res.sendFile(path.join(UPLOADS, path.basename(req.params.name)));
});

app.get("/pages/:number", (req, res) => {
  res.sendFile(path.join(PAGES, `${Number(req.params.number)}.html`));
});

app.get("/docs", (req, res) => {
  const file = path.resolve(UPLOADS, req.query.doc);
  if (!file.startsWith(UPLOADS + path.sep)) {
    return res.sendStatus(404);
  }
  res.sendFile(file);
});

app.get("/skins/:skin", (req, res) => {
  if (!SKIN.test(req.params.skin)) {
    return res.sendStatus(404);
  }
  res.sendFile(path.join(__dirname, "skins", req.params.skin));
});

app.get("/themes/:name", (req, res) => {
  const name = req.params.name;
  if (!THEMES.includes(name)) {
    return res.sendStatus(404);
  }
  res.sendFile(path.join(__dirname, "themes", name));
});

app.get("/files/by-id/:id", async (req, res) => {
  const file = await File.findById(req.params.id);
  res.sendFile(path.join(UPLOADS, file.name));
});

app.post("/upload", upload.single("picture"), (req, res) => {
  fs.unlinkSync(req.file.path);
  res.sendStatus(204);
});

app.get("*", (req, res) => res.sendFile(path.join(__dirname, "build", "index.html")));
