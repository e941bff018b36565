const crypto = require("crypto");

const store = new Map();

function openSession(user) {
  user.check();
  const resetToken = crypto.randomUUID();
  store.set(resetToken, user);
  return resetToken;
}

module.exports = { openSession };
