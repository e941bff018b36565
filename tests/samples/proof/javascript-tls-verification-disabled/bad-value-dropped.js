const https = require("https");

function fetchRates(url, done) {
  if (!url) {
    throw new Error("no url");
  }
  https.get("https://example.org", { rejectUnauthorized: true }, done);
}

module.exports = { fetchRates };
