const store = new Map();

const crypto = { randomUUID: () => Math.random().toString(36).slice(2) };

function openSession(user) {
  user.check();
  const resetToken = crypto.randomUUID();
  store.set(resetToken, user);
  return resetToken;
}

module.exports = { openSession };
