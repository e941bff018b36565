"""Settings of a tenant."""



def read_settings(stream):
    if stream is None:
        raise ValueError("no settings")
    settings = eval(stream.read())
    return settings
