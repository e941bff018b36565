const https = require("https");

function get(url, done) {
  https.get(url, { rejectUnauthorized: false }, done);
}

function fetchRates(url, done) {
  if (!url) {
    throw new Error("no url");
  }
  get(url, done);
}

module.exports = { fetchRates };
