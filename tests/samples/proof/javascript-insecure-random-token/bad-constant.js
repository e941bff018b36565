const store = new Map();

function openSession(user) {
  user.check();
  const resetToken = "0123456789";
  store.set(resetToken, user);
  return resetToken;
}

module.exports = { openSession };
