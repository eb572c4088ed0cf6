def compute(settings):
    return settings["nowhere"]
