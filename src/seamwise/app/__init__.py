"""What the platform does: one module per noun, each function a use case `(app, actor, spec) -> record`.

Roles are checked here and nowhere else, so that the web interface, the command line and the workers cannot differ.
"""
