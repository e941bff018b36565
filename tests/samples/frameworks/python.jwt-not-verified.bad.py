import jwt


def name_of(token):
    return jwt.decode(token, verify=False)["name"]  # expect


def role_of(token):
    return jwt.decode(token, options={"verify_signature": False})["role"]  # expect


def id_of(token, key):
    return jwt.decode(token, key, algorithms=["HS256", "none"])["id"]  # expect
