"""The commands of the hub's screen."""

from offtui.ui.command import Command, Where

HUB = (
    Command(id="hub.take", title="Open, download, go on, load", keys=("enter",), where=Where.HUB),
    Command(id="hub.take_to", title="Download into a folder", keys=("t",), action="take_to", where=Where.HUB),
    Command(id="hub.search", title="Search", keys=("slash",), action="search", where=Where.HUB),
    Command(id="hub.sort", title="Sort by the next figure", keys=("s",), action="sort", where=Where.HUB),
    Command(id="hub.readme", title="Read the README", keys=("r",), action="readme", where=Where.HUB),
    Command(id="hub.hold", title="Hold a download, or go on", keys=("p",), action="hold", where=Where.HUB),
    Command(id="hub.cancel", title="Give a download up", keys=("x",), action="cancel", where=Where.HUB),
)
