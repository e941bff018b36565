const store = new Map();

function openSession(user) {
  user.check();
  const pick = Math.random;
  const resetToken = pick().toString(36).slice(2);
  store.set(resetToken, user);
  return resetToken;
}

module.exports = { openSession };
