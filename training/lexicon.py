"""The words and endings of training texts; the evaluation has its own in `heldout`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from training import answers, wordings


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Material for generated names: whole words, syllables for invented words, file name endings.

    Pieces of `quarry` are recombined, so that tokens that otherwise occur only in certain words of requests
    and answers occur in the copied texts too.
    """

    words: tuple[str, ...]
    syllables: tuple[str, ...]
    endings: tuple[str, ...]
    quarry: tuple[str, ...] = ()


_WORDS = """
able account action actor add address agent alarm album alert alpha amber anchor angle animal answer apple
april arch archive area arm array arrow art article asset atlas atom audio author autumn average axis baby
back backup badge bag balance ball band bank banner bar barn base basic basket batch bath battery beach beam
bean bear bed bell belt bench berry beta bike bill bird black blank block blog blue board boat body bold
bolt bone bonus book boot border bottle bottom bowl box brain branch brass bread break brick bridge bright
broken bronze brown brush bucket bug build builder bundle bus busy butter button byte cabin cable cache cake
calendar call camera camp canal candle canvas car card care cargo case cat cell center chain chair change
channel chapter charge chart chat check cheese cherry chicken child circle city claim class clean clear
client clip clock cloud club coal coast coat code coffee coin cold color column comet command comment common
config contact content cook cookie copper copy coral core corn corner cotton count counter country couple
course court cover cow craft crane cream create credit crew crop cross crown cube cup curve customer cut
cycle daily dance dark dash data date dawn day debug deck deep default delta demo depth desert design desk
detail device diagram diary dice dinner disk dock document dog dollar door dot double down draft dragon draw
dream dress drive driver drum dry duck dust duty eagle early earth east easy echo edge edit editor egg eight
elbow email empty end energy engine entry equal error evening event every example exit export extra eye
fabric face factory fall family farm fast father feather feature fern field figure file filter final finger
fire first fish five fix flag flame flash flat fleet flight floor flour flow flower fly focus fog folder
food foot forest fork form format forum four fox frame free fresh friend frog front frost fruit fuel full
function future galaxy game garden gate gear general giant gift giraffe glass glove goat gold good goose
grape graph grass gray great green grid group guard guest guide guitar habit hair half hall hammer hand
handler handle happy harbor hard hat hawk head header heart heat heavy helmet help hidden high hill hint
history hobby holiday home honey hook horse hotel hour house human hundred ice icon idea image import inbox
income index info ink inner input insect inside invoice iron island item ivory jacket jam january jar job
join journal judge juice july jump june jungle junior key kind king kitchen kite knife label ladder lake
lamp land language large laser last late lawn layer layout lead leaf league learn left legal lemon lesson
letter level library license life light lime limit line link lion list little load local lock log login long
loop low lucky lunch machine magic mail main manual map maple march margin mark market mask master match
matrix meadow meal medal media meeting melon member memory menu message metal meter method middle milk mill
mind mine minute mirror mobile mode model module moment money monitor monkey month moon morning moss mother
motor mountain mouse move movie mud museum music name narrow nation native needle nest net network new news
night nine node noise noon normal north note notes notice number nurse oak oasis object ocean offer office
oil old olive one onion open option orange orbit order origin other outer output oven owl owner packet page
paint pair palace panel paper parcel parent park parrot parser part party pass path patient pattern peach
pearl pen pencil people pepper phone photo piano picture pie pilot pin pine pink pipe planet plant plate
player plum pocket poem point pole policy pond pony pool port post potato powder power prefix present press
price print private profile program project prompt proof public pump purple puzzle python queen query queue
quick quiet rabbit race radar radio rail rain random range rate raven reader record red region report
request reset result retry rice right ring river road robot rock roof room root rope rose round route row
royal ruby rule runner rust sail salad salt sample sand scale scene schema school science scope score screen
script sea season seat second secret section seed select sensor server service session setting seven shadow
shape shark sheep sheet shell shelf shield ship shirt shoe shop short shoulder shower signal silent silver
simple single six size sketch skill sky sleep slot slow small smart smoke snake snow soap sock soft solar
solid song soup south space spark speed spice spider spoon spring square stable stack staff stage stair star
start state station status steam steel step stick stone stop storage store storm story stream street string
strong student studio style suffix sugar summary summer sun supply surface swan swift switch symbol system
table tail talk tank target task tea teacher team temple ten tent terminal test text theme thing thread
three thunder ticket tide tiger time timer tiny title toast today todo token tomato tool tooth top topic
torch total tower town toy track trade traffic trail train travel tree trial trip truck true trunk trust
tulip tunnel turtle twin two type umbrella uncle under unit upper user utility vacuum valley value van vault
vector velvet vendor version village violet violin virtual visit visitor voice volume wagon walk wall walnut
warm warning wash watch water wave wax week weekly weight west whale wheat wheel white wide wild wind window
wine wing winter wire wolf wonder wood wool word work worker world yard year yellow young zebra zero zone
"""

_SYLLABLES = """
ba be bi bo bu bra bri ca ce ci co cu cha chi cla cro da de di do du dra dri fa fe fi fo fu fla fro ga ge gi
go gu gra gli ha he hi ho hu ja je jo ju ka ke ki ko ku kra kli la le li lo lu ma me mi mo mu na ne ni no nu
pa pe pi po pu pra pli qua qui ra re ri ro ru sa se si so su sha shi ska sti stra ta te ti to tu tra tri va
ve vi vo wa we wi wo xa xe xi ya yo yu za ze zi zo zu an en in on un ar er ir or ur al el il ol ul as es is
os us am em im om um ax ex ix ox ack eck ick ock uck ant ent int ont unt ash esh ish osh ush ast est ist ost
ust and end ind ond und
"""


def _words_of_requests_and_answers() -> list[str]:
    texts = [text for kind in wordings.TRAINING.requests.values() for text in kind]
    texts += [*wordings.TRAINING.leads, *wordings.TRAINING.tails, *answers.JOKES]
    texts += [answers.IDENTITY, answers.HELLO, answers.GOODBYE, answers.CANNOT, answers.NO_TOOL]
    return sorted({word for text in texts for word in re.findall(r"[A-Za-z]{3,}", text)})


TRAINING = Lexicon(
    words=tuple(_WORDS.split()),
    syllables=tuple(_SYLLABLES.split()),
    endings=tuple(
        "txt md py js ts json yaml yml toml csv log sh c h cpp rs go java html css xml sql ini cfg conf tex"
        " rb php swift kt lock env tsx vue".split()
    ),
    quarry=(*_WORDS.split(), *_words_of_requests_and_answers()),
)
