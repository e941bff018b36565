const crypto = require("crypto");

const store = new Map();

function openSession(user) {
  user.check();
  const resetToken = crypto.randomBytes(16).toString("hex");
  store.set(resetToken, user);
  return resetToken;
}

module.exports = { openSession };
