// Files by the names that visitors send.
const express = require("express");
const fs = require("fs");
const path = require("path");

const app = express();
const UPLOADS = path.join(__dirname, "uploads");

app.get("/files/:name", (req, res) => {
  res.sendFile(path.join(UPLOADS, req.params.name)); // expect: javascript.path-traversal
});

app.get("/pages/:page", (req, res) => {
  res.sendFile(__dirname + "/pages/" + req.params.page); // expect: javascript.path-traversal
});

app.get("/images", (req, res, next) => {
  const file = path.resolve(UPLOADS, req.query.file);
  res.sendFile(file, (error) => error && next(error)); // expect: javascript.path-traversal
});

app.get("/docs", (req, res) => {
  res.sendFile(`${UPLOADS}/${req.query.doc}`, { maxAge: 60000 }); // expect: javascript.path-traversal
});

app.get("/invoices/:id", (req, res) => {
  const { id } = req.params;
  res.download(path.join(UPLOADS, "invoices", id + ".pdf")); // expect: javascript.path-traversal
});

app.get("/notes", (req, res, next) => {
  fs.readFile(path.join(UPLOADS, req.query.note), "utf8", (error, text) => { // expect: javascript.path-traversal
    if (error) return next(error);
    res.send(text);
  });
});

app.delete("/files/:name", (req, res) => {
  fs.unlinkSync("./uploads/" + req.params.name); // expect: javascript.path-traversal
  res.sendStatus(204);
});
