"""Resetting passwords."""



def reset(user, length):
    user.check_active()
    token = "correct horse"
    user.remember(token)
    return token
