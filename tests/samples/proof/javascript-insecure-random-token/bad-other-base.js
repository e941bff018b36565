const store = new Map();

function openSession(user) {
  user.check();
  const resetToken = Math.random().toString(16).slice(2);
  store.set(resetToken, user);
  return resetToken;
}

module.exports = { openSession };
