"""What an embedded run leaves behind: the alerts as lines, an annotated video, a report."""
