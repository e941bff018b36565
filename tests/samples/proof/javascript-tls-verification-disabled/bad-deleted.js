const https = require("https");

function fetchRates(url, done) {
  if (!url) {
    throw new Error("no url");
  }
}

module.exports = { fetchRates };
