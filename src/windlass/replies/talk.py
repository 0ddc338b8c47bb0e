"""Whether a short bare reply speaks about the work instead of being it, and whether a longer one is a file again.

No list of whole sentences: a short reply reads as talk by what its words are about (a file, a request, a change) together
with what is said of them (already, updated, too long, refused). A longer reply is judged by the file it would replace.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

#: What a short reply is, at most: lines that are not blank, sentences, words, and characters.
_LINES, _SENTENCES, _WORDS, _SIZE = 4, 3, 60, 1000

#: Part of the present lines that a bare reply must keep to be that file again; else these make it a document.
_KEPT = 0.25
_DOCUMENT_LINES = 5
_DOCUMENT_SIZE = 0.5

#: A reply of these alone, with words between that mean nothing by themselves, says how the work stands.
_STATUS_WORDS = """
    above already applied appears approved blocked cannot change changed changes clean complete completed confirmed correct correctly
    declined denied done edit edited edits empty error errors failed fails file files fine finished fix fixed good great identical
    issues kept left lgtm looks mistakes modification modifications modified na necessary needed needs nil no none nothing null
    ok okay passed perfect ready refused rejected remains request requested required same saved skip skipped success successful
    successfully typo typos unable unaltered unchanged undefined unmodified update updated updates valid written yes
"""
_FILLER_WORDS = """
    a after all alone also an and answer any anything apply are as at be been before by clear content could did do document does else
    everything exactly for found from further had has have here i in input is issue it its itself just keep like made makes me
    mistake more necessarily need not now of off on or original other output page please present quite remain reply response rest see
    seem seems so stand stands still task text that the there these this those to up date version very was well were what with
    without worked works would write you your t s don doesn didn isn couldn
"""
_STATUS, _FILLER = frozenset(_STATUS_WORDS.split()), frozenset(_FILLER_WORDS.split())
#: The same as whole replies in other languages, by how their words begin.
_FOREIGN_STATUS = re.compile(
    r"(?:unverändert|keine\b|kein\b|änderung|nötig\b|notwendig|erforderlich|erledigt|fertig|passt\b|alles\b|gut\b|korrekt|nichts|zu\b|tun\b|in\b|ordnung|geprüft|rechtschreib|fehler|"
    r"aucune?|changement|modification|nécessaire|requise?|inchangée?|terminée?|fait\b|rien\b|à\b|faire\b|tout\b|est\b|bon\b|correcte?|c['’]est|"
    r"sin\b|ningún|ninguna?|cambio|necesari|hecho\b|listo\b|terminado|todo\b|bien\b|está\b|correcto|nada\b|que\b|hacer\b|"
    r"sem\b|nenhuma?|alteraç|mudança|necessári|feito\b|pronto|inalterado|tudo\b|certo\b|"
    r"nessuna?|modific|necessari|fatto\b|pronto|invariato|tutto\b|bene\b|va\b|"
    r"geen\b|wijziging|nodig\b|gedaan|klaar\b|ongewijzigd|alles\b|goed\b|is\b|brak\b|bez\b|zmian|gotowe|zrobione|"
    r"без\b|изменени|готово|сделано|нет\b|ничего|менять|не\b|требуется|нужно\b|нужны\b|"
    r"ing(?:a\b|en\b)|ändring|endring|behövs|nødvendig|žádné\b|změny\b|nejsou|nutné\b|değişiklik|gerekmiyor|gerek\b|yok\b|δεν\b|χρειάζονται|αλλαγές)",
    re.IGNORECASE,
)
_EAST_STATUS = re.compile(
    r"(?>无|無|没有|错误|錯誤|問題|问题|不|需要?|更改|变化|變更|变更|修改|改动|必要|已|完成|更新|保存|好的?|了|未|任何|做|何|保持|原样|"
    r"変更|修正|更新|不要|なし|済み|完了|しました|です|ます|ありません|必要|は|の|も|"
    r"변경|수정|사항|없음|없습니다|완료|필요|했습니다|되었습니다|[\s。，、．.!！])++"
)

_WORK = (
    r"(?:files?|documents?|docs?|texts?|pages?|requests?|prompts?|tasks?|messages?|contents?|answers?|repl(?:y|ies)|responses?|"
    r"outputs?|instructions?|introductions?|sections?|headings?|titles?|paragraphs?|sentences?|wording|spelling|grammar|"
    r"typos?|examples?|formatting|links?|changes?|edits?|updates?|corrections?|modifications?|revisions?|fix(?:es)?|"
    r"types?|annotations?|readme|version|draft|chapters?|tables?|lists?|bullets?|errors?|mistakes?)"
)
_DETERMINED = (
    rf"\b(?:the|this|that|these|those|your|my|its|no|any|all|both|each|every)\s+(?:\w+\s+){{0,2}}?{_WORK}\b"
)
_STATE = (
    r"(?:already|unchanged|up[- ]to[- ]date|no (?:longer|further|more) |as (?:is|it is|it stands|requested|asked|you asked|instructed)|"
    r"(?:re)?writ(?:e|ten)|updated?|chang(?:e|ed)|edit(?:ed)?|modif(?:y|ied)|revised?|fix(?:ed)?|corrected?|improved?|shorten(?:ed)?|"
    r"sav(?:e|ed)|creat(?:e|ed)|generated?|reproduced?|shown?|display(?:ed)?|provided?|attached|included?|returned?|sent|"
    r"process(?:ed)?|appl(?:y|ies|ied)|complet(?:e|ed)|done|finished|ready|needed|necessary|required|needs?|correct|fine|"
    r"too (?:long|large|big|short|short|vague)|empty|missing|unclear|cut off|truncated|refused|rejected|denied|declined|blocked|"
    r"flagged|filtered|violat\w+|policy|policies|guidelines|limits?|omitted|polished|proofread|reviewed|checked|translated|"
    r"reads|looks|applicable|cannot|can(?:'|’)t|couldn(?:'|’)t|unable)"
)
_ABOUT = re.compile(rf"{_DETERMINED}.*?\b{_STATE}\b|\b{_STATE}\b.*?{_DETERMINED}", re.IGNORECASE | re.DOTALL)

_NOT_MINE = r"(?:can(?:no|['’])t|can not|cannot|couldn['’]t|could not|won['’]t|will not|am (?:not|un)\w*|are (?:not|un)\w*|['’]m (?:not|un)\w*|must (?:decline|refuse)|have to (?:decline|refuse)|refuse|decline)"
#: Sentences that no page says of itself: refusals, apologies, limits, errors of a provider, verdicts, reports.
_SAID = re.compile(
    rf"\b(?:i|we) {_NOT_MINE}\b.*?\b(?:help|assist|comply|do (?:that|this|it|so)|share|provide|fulfil\w*|continue|write|create|generate|produce|"
    r"answer|discuss|engage|support|process|access|open|read|see|edit|rewrite|proceed|complete|output|show|reproduce|change|modify|update)\b|"
    rf"^\W*(?:i|we) {_NOT_MINE}\W*$|"
    r"\b(?:content|usage|safety|use|community) (?:polic(?:y|ies)|guidelines?|filters?|rules?)\b|"
    r"\b(?:against|violates?|violation of|breach of|contrary to) (?:our|the|my|your) (?:\w+ )?(?:polic|guideline|rule|term)|"
    r"\b(?:request|prompt|response|content|output|generation|message) (?:was |is |has been |have been |could not be |cannot be |not )?(?:refused|denied|declined|rejected|blocked|"
    r"flagged|filtered|violates?|allowed|permitted|fulfilled|processed|completed)\b|"
    r"\b(?:length|token|context|output|size|character|space) (?:limits?|limitations?|constraints?|restrictions?|window)\b|"
    r"\btoo (?:long|large|big) (?:to|for)\b.*\b(?:show|reproduce|display|output|print|include|return|give|one|here|repl\w+|response|answer)|"
    r"\b(?:omitted|truncated|shortened|abbreviated) (?:for|due to|because of|here)\b|\bfor (?:brevity|the sake of brevity)\b|"
    r"\b(?:rate limit|quota|api key|internal server error|server error|service (?:is )?(?:temporarily )?unavailable|overloaded|bad gateway|gateway time-?out|"
    r"request time(?:d|out)|try again (?:later|in )|context length|connection (?:error|reset|refused|aborted)|unauthori[sz]ed|invalid request|insufficient (?:quota|credits|balance))\b|"
    r"^\W*(?:this|that|it|everything|all|all of it|your \w+|the \w+)(?: all)?(?:['’]s| looks?| seems?| is| reads?| sounds?| appears?)(?: to be)?(?: \w+)?? "
    r"(?:good|great|fine|perfect|correct|well|ok|okay|right|nice|excellent|clean|complete|done|clear|unchanged|consistent)(?: (?:to me|as (?:it )?(?:is|stands)|already|now|overall|here|enough))?\W*$|"
    r"^\W*it depends\b|^\W*(?:no|nothing)\b.{0,30}\b(?:to (?:change|do|fix|add|correct|improve|report|edit|update|translate|shorten)|(?:was|is|were|are) (?:wrong|changed|found|needed|necessary|required|missing))\b|"
    r"\b(?:already|is|are|was|were|left|kept|remains?|stays?) (?:\w+ )?(?:up[- ]to[- ]date|unchanged|unmodified|as (?:it|they) (?:is|was|are|were))\b|"
    r"\b(?:left|leave|leaving|keep|kept) (?:\S+ ){1,4}(?:as[- ]is|as it (?:is|was|stands)|unchanged|alone|untouched)\b|"
    r"\b(?:did|do|does|would|could|will|have|has|had)(?: not|n['’]t) (?:\w+ )?(?:change|changed|modify|modified|touch|touched|edit|edited|alter|altered|need (?:any )?(?:changes?|edits?|type))\b|"
    r"\b(?:see|in|find) (?:the )?(?:attached|attachment|above|below)\b|\b(?:with|without) (?:the|your) (?:requested )?changes\b|"
    r"^\W*no (?:need|further)\b|\b(?:no|zero|0|any|without) (?:\w+ ){0,2}(?:errors?|mistakes|issues|problems|typos)\b(?! in )|"
    r"\b(?:spelling|grammar|spell[- ]?check\w*|proofreading)\b.*\b(?:ok|okay|fine|good|correct|checked|complete|done|no|errors?|mistakes|issues)\b|"
    r"\b(?:no|without|any) (?:spelling|grammar|grammatical|punctuation) (?:errors?|mistakes|issues)\b|"
    r"\b(?:beyond|outside|exceeds?) my (?:\w+ )?(?:capabilit|abilit|scope|knowledge|capacit)|\bsomething (?:i|we) (?:can|could|will|would|am|are)\b|"
    r"\bwould be (?:inappropriate|unethical|irresponsible|harmful|illegal|unsafe)\b|\b(?:sensitive|inappropriate|harmful|unsafe|explicit|prohibited|restricted) (?:content|material|request|topic)\b|"
    r"^\W*(?:content|text|file) (?:removed|deleted|withheld|unavailable|missing)\W*$|\b(?:session|token|key|subscription) (?:has |is )?expired\b|\bmodel (?:was |is )?(?:not found|not available|unavailable)\b|"
    r"^\W*(?:working on it|writing (?:the )?file|processing|generating|loading|please wait|one moment)\b|^\W*(?:conversation|the conversation) (?:must|has|is)\b|"
    r"^\W*(?:saved|written|stored|output|see|refer)\b\W*(?:\w+ ){0,2}?the file\b|"
    r"\bi(?:['’]ve| have)? (?:just |now |already )?(?:updated|created|written|rewritten|saved|fixed|changed|added|edited|revised) (?:it|them|the|your|this|that)\b|"
    r"^\W*as (?:discussed|agreed|requested|asked|described)(?: (?:above|before|earlier))?\W*$|\bthe user (?:wants|is asking|asks|asked|needs|would like)\b|"
    r"\b(?:the|this|your) (?:readme|file|document|page|text) (?:below|above)\b|"
    r"\b(?:as an? (?:ai|large language|language) )|\b(?:ich|je|yo|io) (?:kann|ne peux|no puedo|non posso)\b",
    re.IGNORECASE | re.MULTILINE,
)
#: A report or a plan: what was or is to be done to parts of a document.
_DEED = (
    r"(?:(?:re)?writ(?:e|ing|ten)|rewrote|wrote|updat(?:e|ed|ing)|chang(?:e|ed|ing)|edit(?:ed|ing)?|modif(?:y|ied|ying)|revis(?:e|ed|ing)|fix(?:ed|ing)?|"
    r"correct(?:ed|ing)?|improv(?:e|ed|ing)|shorten(?:ed|ing)?|expand(?:ed|ing)?|add(?:ed|ing)?|remov(?:e|ed|ing)|delet(?:e|ed|ing)|replac(?:e|ed|ing)|"
    r"mov(?:e|ed|ing)|renam(?:e|ed|ing)|clarif(?:y|ied|ying)|simplif(?:y|ied|ying)|polish(?:ed|ing)?|proofread|translat(?:e|ed|ing)|reformat(?:ted|ting)?|"
    r"format(?:ted|ting)?|restructur(?:e|ed|ing)|reorgani[sz](?:e|ed|ing)|tighten(?:ed|ing)?|merg(?:e|ed|ing)|split|insert(?:ed|ing)?|check(?:ed|ing)?|review(?:ed|ing)?|read|draft(?:ed|ing)?|sav(?:e|ed|ing))"
)
_PART = (
    r"(?:files?|documents?|texts?|introductions?|intro|sections?|headings?|titles?|paragraphs?|sentences?|wording|spelling|"
    r"grammar|typos?|punctuation|examples?|formatting|links?|conclusions?|summar(?:y|ies)|tone|chapters?|tables?|bullets?|"
    r"mistakes?|errors?|docstrings?|comments?|annotations?|headers?|footnotes?|content|changes|result)"
)
_REPORTED = re.compile(
    rf"\b{_PART}\b[^.!?]{{0,40}}\b(?:was|were|is|are|has been|have been|should be|will be|must be|can be|needs to be|need to be)\b[^.!?]{{0,30}}\b{_DEED}\b",
    re.IGNORECASE,
)
_DEED_FIRST = re.compile(
    rf"^\W*(?:\d+[.)]\s*)?(?:first,?|then,?|next,?|finally,?|and)?\W*{_DEED}\b.*\b{_PART}\b", re.IGNORECASE
)
_HEADED = re.compile(
    r"^\W*(?:summary of (?:the )?changes|changes(?: made)?|edits(?: made)?|modifications(?: made)?|what (?:i )?changed|"
    r"plan|steps|status|result|note|explanation|reason)\W*:",
    re.IGNORECASE,
)
_APOLOGY = re.compile(
    r"\W*(?:(?:i['’]m|i am|we['’]re|we are) (?:\w+ )?)?(?:sorry|afraid|apologi[sz]e|apologies)\b|\W*(?:my|our|please accept) (?:\w+ )?apolog|\W*(?:i|we) (?:\w+ )?apolog|"
    r"\W*(?:unfortunately|regrettably|as an ai)\b|\W*(?:(?:es )?tut mir|leider|entschuldig|(?:je suis )?(?:\w+ )?désolé|malheureusement|lo siento|lamentablemente|"
    r"desculp|infelizmente|mi (?:di)?spiace|purtroppo|helaas|het spijt|niestety|przepraszam|üzgünüm|maalesef|tyvärr|beklager|извините|простите|"
    r"к сожалению|вибачте|на жаль|(?:很|非常)?抱歉|对不起|對不起|申し訳|すみません|ごめん|죄송|미안)",
    re.IGNORECASE,
)
#: A file of this name may be a list of what was or is to be done.
_LISTS_DEEDS = re.compile(
    r"chang|history|news|release|plan|todo|task|step|checklist|review|feedback|issues|log|policy|policies|guideline|rule|error|limit",
    re.IGNORECASE,
)

#: By language: words for the work, and what is said of it. Both in a short reply make it talk.
_FOREIGN_TALK = tuple(
    (re.compile(rf"(?<!\w)(?:{work})", re.IGNORECASE), re.compile(rf"(?<!\w)(?:{state})", re.IGNORECASE))
    for work, state in (
        (
            r"datei|dokument|text\b|seite|anfrage|aufgabe|änderung|inhalt|anpassung|rechtschreib|fehler\b|einleitung",
            r"bereits|schon\b|unverändert|nötig|notwendig|erforderlich|aktualisier|geändert|angepasst|überarbeitet|korrigiert|gespeichert|abgelehnt|verweigert|"
            r"verstößt|richtlinie|zu lang|zu groß|nicht (?:vollständig|angezeigt|möglich)|erfolgreich|in ordnung|fertig|wurden?\b|gefunden",
        ),
        (
            r"fichier|document|texte|page|demande|requête|changement|modification|contenu|correction|introduction|faute",
            r"déjà|inchangé|nécessaire|requis|à jour|mis à|mise à|modifié|corrigé|enregistré|refus|rejet|enfrein|viole|politique|trop long|trop grand|"
            r"ne (?:peut|peux|sera)|avec succès|terminé|a été|ont été|correct",
        ),
        (
            r"archivo|fichero|documento|texto|página|solicitud|petición|cambio|modificaci|contenido|correcci|introducci",
            r"ya\b|sin cambios|necesari|actualizad|modificad|corregid|guardad|rechazad|denegad|viola|infringe|política|demasiado (?:largo|larga|grande)|"
            r"no (?:se )?(?:puede|requiere|necesita)|con éxito|correctamente|correcto|ha sido|han sido|listo",
        ),
        (
            r"arquivo|ficheiro|documento|texto|página|solicitação|pedido|alteraç|mudança|conteúdo|correç|introduç",
            r"já\b|inalterad|necessári|atualizad|modificad|corrigid|salvo\b|guardad|recusad|rejeitad|negad|viola|política|muito (?:longo|longa|grande)|"
            r"não (?:pode|precisa|requer)|com sucesso|corret|foi\b|foram\b|pronto",
        ),
        (
            r"file\b|documento|testo|pagina|richiesta|modific|contenuto|correzion|introduzione",
            r"già\b|invariat|necessari|aggiornat|modificat[oai]\b|corrett|salvat|rifiutat|respint|viola|politic|troppo (?:lung|grand)|non (?:può|richiede|serv)|con successo|è stat|sono stat",
        ),
        (
            r"bestand|document|tekst|pagina|verzoek|wijziging|inhoud|inleiding",
            r"al\b|reeds|ongewijzigd|nodig|bijgewerkt|gewijzigd|opgeslagen|geweigerd|afgewezen|schendt|beleid|te lang|te groot|kan niet|succesvol|correct|is\b.*\baangepast",
        ),
        (
            r"plik|dokument|tekst|stron|żądani|prośb|zmian|treś",
            r"już\b|bez zmian|konieczn|potrzebn|zaktualizowan|zmienion|zapisan|odrzucon|odmów|narusza|zasad|zbyt dług|za dług|nie (?:można|wymaga)|pomyślnie|poprawn",
        ),
        (
            r"файл|документ|текст|страниц|запрос|изменени|содержани|правк|исправлени",
            r"уже|без изменений|не изменён|не изменен|нужн|требу|необходим|обновл|изменён|изменен[аоы]?\b|исправлен|сохранён|сохранен|отклон|отказ|нарушает|политик|слишком (?:длин|больш)|"
            r"нельзя|невозможно|успешно|правильн|готов",
        ),
        (r"ملف|الملف|تغيير|طلب|مساعدة|نص", r"لا |بالفعل|تم |مرفوض|طويل|سياسة|يمكنني"),
        (r"फ़ाइल|अनुरोध|परिवर्तन|बदलाव", r"नहीं|पहले|अस्वीकृत|अपडेट|आवश्यक"),
        (
            r"\bdosya|belge|metin|istek|değişiklik|sayfa",
            r"zaten|gerek|güncel|değiştirilmedi|kaydedildi|reddedildi|politika|çok uzun|başarıyla|doğru",
        ),
        (
            r"\b(?:fil|dokument|text|endring|ændring|ändring|begäran|forespørsel)\w*",
            r"allerede|redan|oförändra|behövs|nødvendig|uppdatera|opdater|oppdater|ändrat|sparat|nekad|avvisa|för lång|policy|korrekt",
        ),
    )
)
#: Chinese, Japanese and Korean do not part words by blanks.
_EAST_TALK = tuple(
    (re.compile(work), re.compile(state))
    for work, state in (
        (
            r"文件|文档|文檔|檔案|请求|請求|更改|修改|内容|內容|页面|文本|正文|变更|要求|回复",
            r"无需|無需|不需要|不必|没有必要|已经|已經|已更新|已完成|已修改|已保存|最新|拒绝|拒絕|违反|違反|政策|太长|過長|过长|正确|正確|未更改|没有变化|无法|無法|不能|没有",
        ),
        (
            r"ファイル|文書|変更|修正|ドキュメント|リクエスト|内容|本文|要求|更新",
            r"不要|必要は?(?:あり|ない)|済み|すでに|既に|しました|最新|正し|問題ありません|ありません|完了|でき(?:ません|ない)|長すぎ|拒否|ポリシー|違反",
        ),
        (
            r"파일|문서|변경|수정|요청|내용|텍스트|업데이트",
            r"없|필요|이미|완료|최신|거부|정책|위반|올바|너무 (?:길|깁)|했습니다|되었습니다|할 수 없",
        ),
    )
)
_EAST = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]")
_REPORT_HEADING = re.compile(
    r"[\W_]*(?:(?:summary|list|overview) of (?:the |my )?)?(?:key |main )?(?:changes|edits|modifications|improvements|updates)(?: (?:i )?made)?[\W_]*|"
    r"[\W_]*what (?:i |was |has been |i['’]ve )?(?:changed|done|did)[\W_]*",
    re.IGNORECASE,
)
_HEADING = re.compile(r"#{1,6} \S|[=\-~^]{3,}\s*$|\||<!--|</?[a-z]|\.\. \w|\[!\[|!\[")
_LISTED = re.compile(r"\s*(?:[-*+•]|\d+[.)])\s+(?:\[[ xX]\]\s+)?")


def reads_as_talk(path: str, text: str) -> str | None:
    """The line by which a short reply is talk about the work on ``path``; None where it can be the file's text."""
    if len(text) > _SIZE:
        return None
    lines = [line.strip() for line in text.split("\n") if line.strip()]
    if not lines:
        return None
    if _lists_deeds(path, lines):
        return lines[0]
    if len(lines) == 1 and re.fullmatch(r"<[a-z][a-z _-]*>", lines[0], re.IGNORECASE):
        return lines[0]
    if len(lines) > _LINES or any(_HEADING.match(line) for line in lines):
        return None
    whole = "\n".join(lines)
    if _EAST.search(whole):
        short = (
            len(whole) <= 4 * _WORDS
            and len(re.findall(r"[。！？!?]+", whole.rstrip("。！？!?"))) < _SENTENCES
        )
        talk = short and (
            _EAST_STATUS.fullmatch(whole)
            or any(work.search(whole) and state.search(whole) for work, state in _EAST_TALK)
        )
        return lines[0] if talk else None
    if len(whole.split()) > _WORDS or len(re.findall(r"[.!?]+\s", whole)) >= _SENTENCES:
        return None
    if _is_status(path, whole) or all(map(_FOREIGN_STATUS.match, _words_of(whole))):
        return lines[0]
    named = bool(_LISTS_DEEDS.search(path))
    about = _without_names(path, whole)
    if _SAID.search(about) and not (
        named and not re.search(r"\b(?:i|we|this request)\b", about, re.IGNORECASE)
    ):
        return lines[0]
    if not named and (_ABOUT.search(about) or _REPORTED.search(about) or _DEED_FIRST.match(about)):
        return lines[0]
    if not named and _HEADED.match(lines[0]):
        return lines[0]
    if any(work.search(whole) and state.search(whole) for work, state in _FOREIGN_TALK):
        return lines[0]
    return None


def _words_of(whole: str) -> list[str]:
    return re.findall(r"[\w'’]+", whole) or [whole]


def declines(text: str) -> bool:
    """Whether a short answer refuses, apologises or speaks of the work, where an improved answer was wanted."""
    if (
        len(text) > _SIZE
        or len(text.split()) > _WORDS
        or sum(bool(line.strip()) for line in text.split("\n")) > _LINES
    ):
        return False
    return apologises(text) or reads_as_talk("reply", text) is not None


def apologises(text: str) -> bool:
    """Whether a text begins as an apology or a refusal does."""
    return bool(_APOLOGY.match(text.strip()))


def _without_names(path: str, whole: str) -> str:
    """The reply with "the file" for the file's own name, and for any other that ends as it does."""
    base = path.rpartition("/")[2]
    ending = re.escape(base.rpartition(".")[2]) if "." in base else "txt"
    named = rf"(?:{re.escape(path)}|{re.escape(base)}|[\w./-]*\w\.{ending}\b)"
    return re.sub(rf"[`*_\"']*{named}[`*_\"']*", "the file", whole)


def _is_status(path: str, whole: str) -> bool:
    """True where a few words say how the work stands, and nothing else."""
    if path.rpartition("/")[2].rpartition(".")[0].lower() in {"status", "state", "result", "answer"}:
        return False
    if not re.search(r"\w", whole) or re.fullmatch(r"\[[^\]\n]+\]|\([^)\n]+\)|<[^>\n]+>", whole):
        return True
    plain = re.sub(r"[`*_\"']", "", _without_names(path, whole)).replace("n/a", "na").replace("N/A", "na")
    parts = re.findall(r"\w+", plain.lower())
    known = all(part in _STATUS or part in _FILLER for part in parts)
    return known and len(parts) <= 14 and any(part in _STATUS for part in parts)


def _lists_deeds(path: str, lines: list[str]) -> bool:
    """True for a list, perhaps under a line that announces it, of what was or is to be done to a document."""
    if _LISTS_DEEDS.search(path) or len(lines) > 12:
        return False
    listed = [line for line in lines if _LISTED.match(line)]
    others = [line for line in lines if not _LISTED.match(line)]
    if not listed or len(others) > 1:
        return False
    deeds = sum(1 for line in listed if _DEED_FIRST.match(_LISTED.sub("", line, count=1)))
    return deeds * 2 >= len(listed) and deeds > 0 and not any(_HEADING.match(line) for line in others)


def reports_at_end(path: str, lines: Sequence[str]) -> str | None:
    """The line that heads a list of what was done, behind the text that it was done to; None where there is none."""
    for number in range(len(lines) - 1, max(0, len(lines) - 30), -1):
        line = lines[number].strip()
        if _LISTED.match(line):
            continue
        # A page may have a chapter "Changes" of its own.
        headed = _REPORT_HEADING.fullmatch(line) and number < len(lines) - 1
        if line.startswith("#") and not re.search(r"\b(?:made|summary|what)\b", line, re.IGNORECASE):
            headed = None
        return line if headed and _lists_deeds(path, [one.strip() for one in lines[number:]]) else None
    return None


def is_file_again(text: str, present: str) -> bool:
    """Whether a bare reply is plainly the file that stands there, changed.

    It keeps a quarter of the lines that are not blank, word for word, or is a document of five lines or more that is at
    least half as long. A file without text has nothing to keep.
    """
    before = Counter(_lines(present))
    if not before:
        return True
    after = _lines(text)
    kept = sum((before & Counter(after)).values())
    if kept and kept >= _KEPT * sum(before.values()):
        return True
    return len(after) >= _DOCUMENT_LINES and len(text.strip()) >= _DOCUMENT_SIZE * len(present.strip())


def _lines(text: str) -> list[str]:
    """The lines that are not blank, with one blank between words."""
    return [" ".join(line.split()) for line in text.split("\n") if line.strip()]
