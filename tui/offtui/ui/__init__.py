"""The screen: the only floor that knows Textual. ``offtui.ui.app.run`` opens it."""
