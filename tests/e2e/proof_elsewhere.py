"""The weakness of a case of `tests/samples/proof` moved into a file of its own, or decided by one."""

from __future__ import annotations

from collections.abc import Mapping

ELSEWHERE: Mapping[str, tuple[tuple[str, str, str], ...]] = {
    "python.sql-injection": (
        (
            "cursor.execute(json.load(open('shop/sql.json'))['find'].format(name))",
            "shop/sql.json",
            '{"find": "SELECT id FROM users WHERE name = \'{}\'"}\n',
        ),
        (
            "from shop.sql import FIND\ncursor.execute(FIND.format(name))",
            "shop/sql.py",
            "FIND = \"SELECT id FROM users WHERE name = '{}'\"\n",
        ),
        (
            "from shop.sql import find_by\nfind_by(cursor, name)",
            "shop/sql.py",
            "def find_by(cursor, name):\n    cursor.execute(f\"SELECT id FROM users WHERE name = '{name}'\")\n",
        ),
        (
            "from shop.sql import statement\ncursor.execute(statement(name))",
            "shop/sql.py",
            "def statement(name):\n    return f\"SELECT id FROM users WHERE name = '{name}'\"\n",
        ),
    ),
    "python.command-injection": (
        ("done = subprocess.run(['sh', 'shop/ping.sh', host], check=False)", "shop/ping.sh", 'eval "ping -c 1 $1"\n'),
        (
            "from shop.net import ping_host\ndone = ping_host(host)",
            "shop/net.py",
            "import os\n\n\ndef ping_host(host):\n    return os.system('ping ' + host)\n",
        ),
        ("done = subprocess.run(['make', 'ping', 'HOST=' + host], check=False)", "shop/ping.mk", "ping:\n\tping $(HOST)\n"),
    ),
    "python.unsafe-yaml": (
        (
            "from shop.loaders import Own\nsettings = yaml.load(stream, Loader=Own)",
            "shop/loaders.py",
            "import yaml\n\n\nclass Own(yaml.Loader):\n    pass\n",
        ),
        ("from shop.loaders import read\nsettings = read(stream)", "shop/loaders.py", "import yaml\n\nread = yaml.unsafe_load\n"),
        (
            "from shop.loaders import SafeLoader\nsettings = yaml.load(stream, Loader=SafeLoader)",
            "shop/loaders.py",
            "from yaml import Loader as SafeLoader\n",
        ),
    ),
    "python.tls-verification-disabled": (
        (
            "from shop.config import VERIFY\nanswer = requests.get(url, timeout=timeout, verify=VERIFY)",
            "shop/config.py",
            "VERIFY = False\n",
        ),
        (
            "from shop.config import session\nanswer = session.get(url, timeout=timeout)",
            "shop/config.py",
            "import requests\n\nsession = requests.Session()\nsession.verify = False\n",
        ),
    ),
    "python.flask-debug": (
        ('from shop.config import DEBUG\napp.run(host="0.0.0.0", port=port, debug=DEBUG)', "shop/config.py", "DEBUG = True\n"),
        ("app.config.from_pyfile('config.py')\napp.run(host=\"0.0.0.0\", port=port)", "shop/config.py", "DEBUG = True\n"),
        ('app.run(host="0.0.0.0", port=port)', ".flaskenv", "FLASK_DEBUG=1\n"),
    ),
    "javascript.sql-injection": (
        (
            "const found = await require('./sql').find(client, name);",
            "shop/sql.js",
            "exports.find = (client, name) => client.query(`SELECT ${name}`);\n",
        ),
        ("const found = await client.query(require('./sql').text(name));", "shop/sql.js", "exports.text = (name) => `SELECT ${name}`;\n"),
    ),
    "javascript.command-injection": (
        (
            "require('./run')(host, (error, out) => res.send(error ? \"no\" : out));",
            "shop/run.js",
            "module.exports = (h, d) => require('child_process').exec('ping ' + h, d);\n",
        ),
    ),
    "javascript.dom-xss": (("require('./show')(board, name);", "shop/show.js", "module.exports = (b, n) => { b.innerHTML = n; };\n"),),
    "javascript.insecure-random-token": (
        ("const resetToken = require('./token')();", "shop/token.js", "module.exports = () => Math.random().toString(36);\n"),
    ),
    "javascript.tls-verification-disabled": (
        ("https.get(url, require('./options'), done);", "shop/options.json", '{"rejectUnauthorized": false}\n'),
    ),
}
"""Rule -> what takes the flagged statement's place, and the path and content of the other file."""
