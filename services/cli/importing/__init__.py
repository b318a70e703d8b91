"""`rapport import`: lines of a table become interactions, consents and exchanges, as a mapping says.

source.py      the file as lines with cells      conditions.py   when a record, or a part of it, is there
values.py      cells as times, amounts, numbers  fields.py       tables of the mapping as protobuf messages
mapping.py     the mapping, read and checked     request_ids.py  ids that come out the same the next time
loading.py     lines to the services, in order   rejects.py      lines that were not recorded, with the reason
progress.py    how far it is                     command.py      the command itself
"""
