module.exports = (client, name) => client.query(`SELECT id FROM users WHERE name = '${name}'`);
