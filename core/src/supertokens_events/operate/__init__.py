"""What a person does when something is wrong: see how it stands, understand why, send again. Below every way of asking for it:
the command line, an API, a page.
"""
