"""Sets of labelled pictures as others have them: zip archives, domain folders, COCO, LabelMe; read and written.

Everything here reads what strangers made: names never lead out of the set's own folder, and whatever is wrong is a
BadInputError that names the file within the set.
"""
