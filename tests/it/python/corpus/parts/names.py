def shout(name, **context):
    assert context["task"].task_id == name
    return name.upper()
