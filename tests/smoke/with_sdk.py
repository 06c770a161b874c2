"""What an app does that has installed the extra `sdk`: make the plugin for SuperTokens. Run by `nox -s wheels`."""

from supertokens_events import Events


def main() -> None:
    plugin = Events.from_dict({}).plugin()

    assert plugin.id == "supertokens-events", plugin
    print("smoke: with the extra `sdk` there is a plugin for supertokens-python")


if __name__ == "__main__":
    main()
