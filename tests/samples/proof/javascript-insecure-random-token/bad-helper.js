const store = new Map();

function pick() {
  return Math.random().toString(36).slice(2);
}

function openSession(user) {
  user.check();
  const resetToken = pick();
  store.set(resetToken, user);
  return resetToken;
}

module.exports = { openSession };
