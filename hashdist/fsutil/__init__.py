"""Files and directories: written once, made durable, renamed; locked; removed without following links."""
